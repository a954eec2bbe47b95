package dev.demitasse;

import dev.demitasse.dialect.Dialect;
import dev.demitasse.tokenizer.Vocabulary;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Keeps what others have written from becoming control tokens where it stands in a template: a mark is put into each
 * spelling of one, and {@link dev.demitasse.tokenizer.Tokenizer} takes it out after special tokens are found.
 */
final class TextMarks implements Dialect.Marks {
    /** Code points that are reserved for internal use and stand in no text (Unicode, noncharacters). */
    static final char MARK = '\uFDD0';

    /** User-defined tokens that part what a model reads; others are HTML tags, for example, and mean no more. */
    private static final Pattern LIKE_CONTROL = Pattern.compile(
            "<\\|.*|.*\\|>|</?(?:think|tool_\\w+|tools?|arg_\\w+|function\\w*|seed:\\w+|minimax:\\w+)>",
            Pattern.DOTALL);

    private final List<String> controls = new ArrayList<>();
    private final List<String> marked = new ArrayList<>(); // those, and user-defined tokens that look like them

    TextMarks(Vocabulary vocabulary) {
        for (int id = 0; id < vocabulary.size(); id++) {
            String token = vocabulary.token(id);
            boolean control = vocabulary.isControl(id) && token.length() > 1;
            if (control) {
                controls.add(token);
            }
            if (control
                    || vocabulary.isUserDefined(id)
                            && LIKE_CONTROL.matcher(token).matches()) {
                marked.add(token);
            }
        }
    }

    /** A text without control tokens, nor others that are written like them. */
    @Override
    public String of(String text) {
        return mark(text, marked);
    }

    /** A text of the model's own, without control tokens: others stay, since templates look for them. */
    @Override
    public String ofModel(String text) {
        return mark(text, controls);
    }

    private static String mark(String content, List<String> tokens) {
        String text = content.indexOf(MARK) < 0 ? content : content.replace(String.valueOf(MARK), "\uFFFD");
        for (String token : tokens) {
            if (text.contains(token)) {
                text = text.replace(token, token.charAt(0) + String.valueOf(MARK) + token.substring(1));
            }
        }
        return text;
    }
}
