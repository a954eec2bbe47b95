package dev.demitasse.gguf;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The name {@code STEM-00002-of-00003.gguf} of one of the files that a model is split into, as llama.cpp's {@code
 * gguf-split} writes it. The first has the metadata, and is the one that is opened.
 *
 * @param stem what the names have in common
 * @param part of which file it is the name, from 1
 * @param parts how many files there are
 */
public record SplitName(String stem, int part, int parts) {
    private static final Pattern PATTERN = Pattern.compile("(.*)-(\\d{5})-of-(\\d{5})\\.gguf");

    /**
     * {@return what a name says, or null where it is no name of a part}
     *
     * @param name a file's name, or a path of which it is the last part
     */
    public static @Nullable SplitName of(String name) {
        Matcher matcher = PATTERN.matcher(name);
        if (!matcher.matches()) {
            return null;
        }
        int part = Integer.parseInt(matcher.group(2));
        int parts = Integer.parseInt(matcher.group(3));
        return part < 1 || part > parts ? null : new SplitName(matcher.group(1), part, parts);
    }

    /**
     * {@return the name of another part}
     *
     * @param number from 1
     */
    public String part(int number) {
        return String.format(Locale.ROOT, "%s-%05d-of-%05d.gguf", stem, number, parts);
    }

    /** {@return whether it is the file that is opened} */
    public boolean isFirst() {
        return part == 1;
    }
}
