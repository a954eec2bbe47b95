package dev.demitasse.chat;

import dev.demitasse.gguf.Metadata;
import java.util.List;
import java.util.regex.Pattern;

/**
 * What a model reads beside text by its chat template, and not here: what makes embeddings of it is a file of its own
 * (mmproj), which is left out.
 */
public final class OtherMedia {
    private static final List<String> MEDIA = List.of("image", "audio", "video");

    private OtherMedia() {}

    /**
     * {@return those that a file's chat template has a place for: {@code image}, {@code audio}, {@code video}}
     *
     * @param metadata of the file
     */
    public static List<String> leftOut(Metadata metadata) {
        String template = metadata.string("tokenizer.chat_template", "");
        return MEDIA.stream()
                .filter(each -> Pattern.compile("['\"]" + each + "(_url)?['\"]")
                        .matcher(template)
                        .find())
                .toList();
    }

    /**
     * {@return a sentence that says so}
     *
     * @param media at least one
     */
    public static String sentence(List<String> media) {
        return "Only text is read: what its chat template has places for beside it (" + String.join(", ", media)
                + ") needs another file (mmproj), which is left out.";
    }
}
