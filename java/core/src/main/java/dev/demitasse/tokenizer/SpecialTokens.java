package dev.demitasse.tokenizer;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;

/**
 * Cuts special tokens out of a text: longer tokens first, each wherever it stands in what is left. User-defined tokens
 * are always cut out, control tokens only where asked for (the order of llama.cpp, so that ids are the same).
 */
final class SpecialTokens {
    private record Special(String text, int id, boolean control) {}

    /** A piece of the text {@code [from, to)}, or the special token {@code id} instead. */
    record Fragment(int from, int to, int id) {}

    private final List<Special> specials = new ArrayList<>();

    SpecialTokens(Vocabulary vocabulary) {
        for (int id = 0; id < vocabulary.size(); id++) {
            if ((vocabulary.isControl(id) || vocabulary.isUserDefined(id))
                    && !vocabulary.token(id).isEmpty()) {
                specials.add(new Special(vocabulary.token(id), id, vocabulary.isControl(id)));
            }
        }
        specials.sort(Comparator.comparingInt((Special special) -> -special.text.length()));
    }

    List<Fragment> split(String text, boolean parseControl) {
        List<Fragment> fragments = new ArrayList<>();
        if (!text.isEmpty()) {
            fragments.add(new Fragment(0, text.length(), Vocabulary.NONE));
        }
        BitSet pairs = pairs(text);
        for (Special special : specials) {
            if ((parseControl || !special.control) && mayContain(pairs, special.text)) {
                fragments = cut(text, fragments, special);
            }
        }
        return fragments;
    }

    private static List<Fragment> cut(String text, List<Fragment> fragments, Special special) {
        if (!text.contains(special.text)) {
            return fragments;
        }
        List<Fragment> result = new ArrayList<>(fragments.size() + 2);
        for (Fragment fragment : fragments) {
            if (fragment.id != Vocabulary.NONE) {
                result.add(fragment);
                continue;
            }
            int from = fragment.from;
            int at = text.indexOf(special.text, from, fragment.to);
            while (at >= 0) {
                if (at > from) {
                    result.add(new Fragment(from, at, Vocabulary.NONE));
                }
                from = at + special.text.length();
                result.add(new Fragment(at, from, special.id));
                at = text.indexOf(special.text, from, fragment.to);
            }
            if (from < fragment.to) {
                result.add(new Fragment(from, fragment.to, Vocabulary.NONE));
            }
        }
        return result;
    }

    /** A set of the text's neighboring characters: most special tokens are ruled out by their first two. */
    private static BitSet pairs(String text) {
        BitSet pairs = new BitSet(1 << 16);
        for (int i = 0; i < text.length(); i++) {
            pairs.set(pair(text, i));
        }
        return pairs;
    }

    private static boolean mayContain(BitSet pairs, String token) {
        return token.length() == 1 || pairs.get(pair(token, 0));
    }

    private static int pair(String text, int at) {
        int next = at + 1 < text.length() ? text.charAt(at + 1) : 0;
        return (text.charAt(at) * 31 + next) & 0xFFFF;
    }
}
