package dev.demitasse.grammar;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;

/** Unicode's general categories by their short and their long names (Unicode Standard Annex 44, table 12). */
final class UnicodeCategories {
    /** By the numbers of {@link Character#getType}. */
    private static final Map<String, List<Integer>> TYPES = new HashMap<>();

    private static final String TABLE = """
            Lu Uppercase_Letter 1; Ll Lowercase_Letter 2; Lt Titlecase_Letter 3; Lm Modifier_Letter 4; Lo Other_Letter 5
            L Letter 1 2 3 4 5; LC Cased_Letter 1 2 3; Mn Nonspacing_Mark 6; Me Enclosing_Mark 7; Mc Spacing_Mark 8
            M Mark 6 7 8; Nd Decimal_Number 9; Nl Letter_Number 10; No Other_Number 11; N Number 9 10 11
            Zs Space_Separator 12; Zl Line_Separator 13; Zp Paragraph_Separator 14; Z Separator 12 13 14; Cc Control 15
            Cf Format 16; Co Private_Use 18; Pd Dash_Punctuation 20; Ps Open_Punctuation 21; Pe Close_Punctuation 22
            Pc Connector_Punctuation 23; Po Other_Punctuation 24; Pi Initial_Punctuation 29; Pf Final_Punctuation 30
            P Punctuation 20 21 22 23 24 29 30; Sm Math_Symbol 25; Sc Currency_Symbol 26; Sk Modifier_Symbol 27
            So Other_Symbol 28; S Symbol 25 26 27 28
            """;

    private static final Map<String, CharSet> SETS = new ConcurrentHashMap<>();

    static {
        for (String line : TABLE.strip().split("[;\n]\\s*")) {
            String[] words = line.strip().split(" ");
            List<Integer> types = List.of(words).subList(2, words.length).stream()
                    .map(Integer::valueOf)
                    .toList();
            TYPES.put(words[0], types);
            TYPES.put(words[1], types);
        }
    }

    private UnicodeCategories() {}

    /** A category's characters; null where there is none of that name. */
    static @Nullable CharSet of(String name) {
        String plain = name.replaceFirst("^(gc|General_Category)=", "");
        List<Integer> types = TYPES.get(plain);
        return types == null
                ? null
                : SETS.computeIfAbsent(plain, key -> CharSet.where(c -> types.contains(Character.getType(c))));
    }
}
