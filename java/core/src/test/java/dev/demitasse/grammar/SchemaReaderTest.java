package dev.demitasse.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.demitasse.exception.UsageException;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Schemas that were once read wrongly, or not in time. In these tables quotation marks are written as '. */
class SchemaReaderTest {
    private static Language read(String schema) {
        return Language.jsonSchema(schema.replace('\'', '"'));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '"',
            value = {
                // a schema                                                    | valid                  | not valid
                "{'$defs':{'A':{'type':'object','properties':{'i':{'type':'object',"
                        + "'properties':{'x':{'type':'integer'}}}}"
                        + ",'allOf':[{'properties':{'i':{'properties':{'x':{'minimum':5}}}}}]}},'type':'object',"
                        + "'properties':{'p':{'$ref':'#/$defs/A/properties/i'},'q':{'$ref':'#/$defs/A'}}}"
                        + " | {'p':{'x':1},'q':{'i':{'x':5}}} | {'q':{'i':{'x':1}}}",
                "{'type':'object','properties':{'a':false},'required':['b'],'additionalProperties':true}"
                        + " | {'b':1,'c':2} | {'b':1,'a':2}",
                "{'type':'string','pattern':'^(a[]b)?cd$','maxLength':5} | 'cd' | 'abcd'",
                "{'const':12345678901234567890} | 12345678901234567890 | 12345678901234567000",
                "{'type':'integer','minimum':12345678901234567890} | 12345678901234567890 | 12345678901234567889",
                "{'enum':[1e20,5],'minimum':0} | 1.0E20 | 6",
                "{'anyOf':[{'const':[1]},{'const':[2.0]}]} | [2] | [3]",
                "{'type':'object','properties':{'next':{'anyOf':[{'$ref':'#'},{'type':'null'}]}}}"
                        + " | {'next':{'next':null}} | {'next':1}",
                "{'$defs':{'N':{'type':'object','properties':{'n':{'$ref':'#/$defs/N','type':'object'}}}},"
                        + "'$ref':'#/$defs/N'} | {'n':{'n':{}}} | {'n':1}",
                "{'$defs':{'q':{'enum':['x'],'properties':{'a':{'$ref':'#/$defs/q'}}}},'$ref':'#/$defs/q'} | 'x' | 'y'",
                "{'type':'object','properties':{'a':{'type':'integer'}},'x-order':1} | {'a':1} | {'a':'b'}"
            })
    void schemasAllowWhatIsValid(String schema, String valid, String invalid) {
        Language language = read(schema);
        assertThat(language.matches(valid.strip().replace('\'', '"'))).as(valid).isTrue();
        assertThat(language.matches(invalid.strip().replace('\'', '"')))
                .as(invalid)
                .isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{'$ref':'#/%zz'}",
                "{'$ref':'#'}",
                "{'allOf':[{'type':[null]},{'type':'string'}]}",
                "{'allOf':[{'anyOf':[null]},{'anyOf':[{}]}]}",
                "{'const':1,'enum':5}",
                "{'type':null}",
                "{'type':'string','pattern':5}",
                "{'type':'string','format':null}",
                "{'type':'array','uniqueItems':'true'}",
                "{'required':[null]}",
                "{'allOf':[{'properties':null},{'properties':5}]}",
                "{'type':'object','minProperties':2}",
                "{'type':'string','pattern':'^(((a{1000}){1000}){1000})$','maxLength':5}",
                "{'oneOf':[{'const':[1]},{'const':[1.0]}]}",
                "{'type':'objekt'}",
                "{'requried':['a']}",
                "[1]",
                "{'type':",
                ""
            })
    void whatIsNoSchemaOrNotSupportedIsRefusedByType(String schema) {
        assertThatThrownBy(() -> read(schema)).isInstanceOf(UsageException.class);
    }

    @Test
    void aNameOfManyCharactersIsReadAloneAndRefusedBesideOthers() {
        String name = "n".repeat(20_000);
        assertThat(read("{'type':'object','properties':{'" + name + "':{}}}").matches("{\"" + name + "\":1}"))
                .isTrue();
        String required = "{'required':['" + name + "'],'additionalProperties':true}";
        assertThatThrownBy(() -> read(required)).isInstanceOf(UsageException.class);
        String schema = "{'properties':{'" + name + "':{}},'additionalProperties':true}";
        assertThatThrownBy(() -> read(schema))
                .isInstanceOf(UsageException.class)
                .hasMessageContaining("characters");
    }

    /** Chains that double with each link, where nothing is remembered. */
    @ParameterizedTest
    @ValueSource(strings = {"anyOf", "allOf"})
    void schemasThatReferTwiceToTheNextAreReadInTime(String keyword) {
        String links = IntStream.range(0, 25)
                .mapToObj(i -> "'d" + i + "':{'" + keyword + "':[{'$ref':'#/$defs/d" + (i + 1) + "'},{'$ref':'#/$defs/d"
                        + (i + 1) + "'}]}")
                .collect(Collectors.joining(","));
        String schema = "{'$defs':{" + links + ",'d25':{'type':'string'}},'$ref':'#/$defs/d0'}";
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(20),
                () -> assertThat(read(schema).matches("\"a\"")).isTrue());
    }

    @Test
    void manyOptionalPropertiesBesideOthersAreReadInTime() {
        String properties = IntStream.range(0, 300)
                .mapToObj(i -> "'property_" + i + "':{'type':'string'}")
                .collect(Collectors.joining(","));
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> {
            Language language = read("{'type':'object','properties':{" + properties + "},'additionalProperties':true}");
            assertThat(language.matches("{\"property_7\":\"a\",\"property_299\":\"b\",\"more\":1}"))
                    .isTrue();
            assertThat(language.matches("{\"property_7\":1}")).isFalse();
        });
    }

    @Test
    void aLongListOfTextsIsNotAmbiguous() {
        List<String> texts =
                IntStream.range(0, 20_000).mapToObj(i -> "choice " + i).toList();
        Language language = Language.oneOf(texts);
        assertThat(language.matches("choice 19999")).isTrue();
        assertThat(language.matches("choice 20000")).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"[\\d-_]", "[.-\\d]", "\\uD83D\\u0041", "a\\u{}", "\\u{100000041}"})
    void rangesOfSetsAndHalvesOfCharactersAreRefused(String pattern) {
        assertThatThrownBy(() -> Language.regex(pattern)).isInstanceOf(UsageException.class);
    }

    @Test
    void emptyPartsMayRepeatHoweverOften() {
        Assertions.assertTimeoutPreemptively(Duration.ofSeconds(20), () -> {
            assertThat(Language.regex("(".repeat(30) + "){4}".repeat(30)).matches(""))
                    .isTrue();
            assertThat(read("{'type':'string','pattern':'^((((){100000}){100000}){100000})$','maxLength':3}")
                            .matches("\"\""))
                    .isTrue();
        });
    }

    @Test
    void manyRulesInARowAreCheckedInTime() {
        String rules = "root ::= r1\n"
                + IntStream.range(1, 5_000)
                        .mapToObj(i -> "r" + i + " ::= r" + (i + 1))
                        .collect(Collectors.joining("\n"))
                + "\nr5000 ::= \"x\"";
        Assertions.assertTimeoutPreemptively(
                Duration.ofSeconds(20),
                () -> assertThat(Language.gbnf(rules).matches("x")).isTrue());
    }
}
