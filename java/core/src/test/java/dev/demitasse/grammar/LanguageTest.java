package dev.demitasse.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UsageException;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LanguageTest {
    private static void matches(Language grammar, String... texts) {
        for (String text : texts) {
            assertThat(grammar.matches(text)).as(text).isTrue();
        }
    }

    private static void refuses(Language grammar, String... texts) {
        for (String text : texts) {
            assertThat(grammar.matches(text)).as(text).isFalse();
        }
    }

    @Test
    void thoseMadeOfTheSameAreEqual() {
        Language regex = Language.regex("a|b");
        assertThat(regex).isEqualTo(Language.regex("a|b")).hasSameHashCodeAs(Language.regex("a|b"));
        assertThat(regex).isNotEqualTo(Language.regex("b|a")).isNotEqualTo(Language.oneOf(List.of("a|b")));
        assertThat(Language.jsonSchema("true")).isEqualTo(Language.jsonSchema("true"));
        assertThat(Language.oneOf(List.of("a", "b"))).isEqualTo(Language.oneOf(List.of("a", "b")));
    }

    @Test
    void rulesCallEachOther() {
        Language sum = Language.gbnf("""
                # sums, with brackets
                root ::= term (" + " term)*
                term ::= [0-9]+
                       | "(" root ")"   # again
                """);
        matches(sum, "1", "12 + 3", "(1 + 2) + 3", "((((1))))");
        refuses(sum, "", "1 +", "1+2", "(1", "1)", "x");
    }

    @Test
    void literalsAndClassesHaveEscapes() {
        Language grammar = Language.gbnf("root ::= \"\\x41\\u00e9\\\"\\n\\U0001F600\" [\\]\\-a-c] [^\\n\"] . [x-]?");
        matches(grammar, "Aé\"\n😀]z\n", "Aé\"\n😀-😀éx", "Aé\"\n😀bz\n-");
        refuses(grammar, "Aé\"\n😀d..", "Aé\"\n😀]\".", "Aé\"\n😀]..y");
    }

    @Test
    void repetitionsAreCounted() {
        Language grammar = Language.gbnf("root ::= \"a\"{2} \"b\"{1,} [cd]{0,7} (\"e\" \"f\"?){9,11}");
        matches(grammar, "aab" + "e".repeat(9), "aabbbcdcdcdc" + "ef".repeat(11));
        refuses(
                grammar,
                "ab" + "e".repeat(9),
                "aab" + "e".repeat(8),
                "aab" + "e".repeat(12),
                "aabcdcdcdcd" + "e".repeat(9));
    }

    @Test
    void listsOfAnyLengthKeepTheirStackFlat() {
        Language list = Language.gbnf("root ::= \"x\" root | \"\"");
        ByteParser parser = new ByteParser(list.program());
        ParserState state = parser.start();
        ParserState second = parser.next(state, (byte) 'x');
        for (int i = 0; i < 1000; i++) {
            state = parser.next(state, (byte) 'x');
        }
        assertThat(state).isSameAs(second);
    }

    @Test
    void bracketsWithinBracketsAreCountedHoweverDeep() {
        Language nested = Language.gbnf("root ::= \"[\" root \"]\" | \"\"");
        matches(nested, "[".repeat(5000) + "]".repeat(5000));
        refuses(nested, "[".repeat(5000) + "]".repeat(4999));
    }

    @Test
    void whatCanNeverEndIsNotBegun() {
        Language grammar = Language.gbnf("root ::= \"a\" | \"b\" endless\nendless ::= \"c\" endless");
        matches(grammar, "a");
        ByteParser parser = new ByteParser(grammar.program());
        assertThat(parser.next(parser.start(), (byte) 'b')).isSameAs(ParserState.DEAD);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "root ::= root \"a\"",
                "root ::= a\na ::= b? root",
                "root ::= (\"\" root)*",
                "root ::= \"b\"? c\nc ::= d* c \"x\"\nd ::= \"e\""
            })
    void aRuleThatBeginsWithItselfIsRefusedByName(String text) {
        String rules = text.contains("b?") ? text + "\nb ::= \"z\"" : text;
        assertThatThrownBy(() -> Language.gbnf(rules))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("begins with itself");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "root",
                "root ::= ",
                "root := \"a\"",
                "root ::= \"a",
                "root ::= [a",
                "root ::= [z-a]",
                "root ::= (\"a\"",
                "root ::= \"a\")",
                "root ::= other",
                "root ::= \"a\"{3,2}",
                "root ::= \"a\"{}",
                "root ::= \"a\"{1000000}",
                "root ::= \"\\q\"",
                "root ::= \"\\UFFFFFFFF\"",
                "root ::= * \"a\"",
                "root ::= \"a\"\nroot ::= \"b\"",
                "root ::= ((((\"a\"{1000}){1000}){1000}){1000}){1000} b",
                "root ::= \"x\" root"
            })
    void grammarsThatCannotBeReadAreRefused(String text) {
        if (text.equals("root ::= ")) {
            matches(Language.gbnf(text), ""); // an empty sequence is one
            return;
        }
        assertThatThrownBy(() -> Language.gbnf(text)).isInstanceOf(UsageException.class);
    }

    @Test
    void groupsWithinTooManyOthersAreRefused() {
        assertThatThrownBy(() -> Language.gbnf("root ::= " + "(".repeat(100_000)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("groups");
        assertThatThrownBy(() -> Language.regex("(".repeat(100_000)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("groups");
    }

    @Test
    void aFaultIsToldWithItsLineAndColumn() {
        assertThatThrownBy(() -> Language.gbnf("root ::= a\na ::= \"b\" }"))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("line 2, column 11");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a|b", "(a|b)*c", "[a-c]{2,3}", "\\d+(\\.\\d+)?", "[^abc]", "a?b+", "(?:ab)+", "a|", "x{3}",
                        "\\w\\s\\W",
                "[\\d_-]+", "é+", "[à-ü]", "a.c", "(a|ab)(c|bcd)", "\\u0041", "\\x41", "[\\w.]+@x", "^ab$", "^a|b$",
                "(a*)*b", "a{0}", "\\t\\n", "[]a]?b"
            })
    void regularExpressionsMatchWhatJavaMatches(String pattern) {
        Pattern java = Pattern.compile(pattern.equals("[]a]?b") ? "b" : pattern);
        Language grammar = Language.regex(pattern.equals("[]a]?b") ? "b" : pattern);
        List<String> alphabet = List.of("a", "b", "c", "d", "1", ".", "é", "A", " ", "_", "@", "x", "\n", "\t", "-");
        for (String first : alphabet) {
            for (String second : alphabet) {
                for (String text : List.of("", first, first + second, first + second + first, "ab" + first + second)) {
                    assertThat(grammar.matches(text))
                            .as("/%s/ of %s", pattern, text)
                            .isEqualTo(java.matcher(text).matches());
                }
            }
        }
    }

    @Test
    void categoriesOfUnicodeAreKnown() {
        Language grammar = Language.regex("\\p{Lu}\\p{Ll}+\\P{L}");
        matches(grammar, "Été!", "Ωω1", "Abc ");
        refuses(grammar, "été!", "Abcd", "A1");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "a(?=b)",
                "(?<!a)b",
                "(a)\\1",
                "\\bword\\b",
                "a(b$)",
                "(^a)b",
                "a**",
                "*",
                "a{2}{3}",
                "(a",
                "a)",
                "[b-a]",
                "\\p{Latin1}",
                "\\q",
                "[a",
                "\\",
                "(?i)a",
                "a{5,2}",
                "\\k<x>"
            })
    void whatIsNotRegularIsRefused(String pattern) {
        assertThatThrownBy(() -> Language.regex(pattern)).isInstanceOf(UsageException.class);
    }

    @Test
    void aChoiceIsOneOfItsTexts() {
        Language grammar = Language.oneOf(List.of("yes", "no", "not sure"));
        matches(grammar, "yes", "no", "not sure");
        refuses(grammar, "", "n", "not", "yesno");
        assertThatThrownBy(() -> Language.oneOf(List.of())).isInstanceOf(UsageException.class);
        assertThatThrownBy(() -> Language.oneOf(List.of("a", ""))).isInstanceOf(UsageException.class);
    }

    @Test
    void aGrammarOfTooManyReadingsIsRefusedAndNotReadForEver() {
        Language grammar = Language.gbnf(
                "root ::= (a | b | c)\na ::= \"x\" root? \"y\"\nb ::= \"x\" root? \"z\"\n" + "c ::= \"x\" root? \"w\"");
        assertThatThrownBy(() -> grammar.matches("x".repeat(40)))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("ambiguous");
    }
}
