package dev.demitasse;

import dev.demitasse.binding.RecordType;
import dev.demitasse.exception.IncompleteAnswerException;
import java.util.List;

/** Questions whose answers have a form: a record, or one of some texts. */
final class Extraction {
    /** The most likely answer. A record is seldom longer; a model that finds no end comes to this one. */
    static final GenerationOptions OPTIONS = GenerationOptions.GREEDY.withMaximumTokens(4096);

    private record Form(RecordType type, String schema, Grammar grammar) {}

    private static final ClassValue<Form> FORMS = new ClassValue<>() {
        @Override
        protected Form computeValue(Class<?> type) {
            RecordType record = RecordType.of(type);
            return new Form(record, record.schema(), Grammar.jsonSchema(record.schema()));
        }
    };

    private Extraction() {}

    static <T> T extract(Session session, Class<T> type, String text, GenerationOptions options) {
        Form form = FORMS.get(type);
        String question = "Extract what the text says as a JSON object that is valid by this JSON schema:\n"
                + form.schema + "\n\nThe text:\n" + text;
        Generation answer = session.chat(question, options.withGrammar(form.grammar), piece -> {});
        return type.cast(form.type.read(whole(answer, form.grammar)));
    }

    static String choose(Session session, String question, List<String> choices, GenerationOptions options) {
        Grammar grammar = Grammar.oneOf(choices);
        String whole = question + "\n\nAnswer with one of these, and nothing else:\n" + String.join("\n", choices);
        return whole(session.chat(whole, options.withGrammar(grammar), piece -> {}), grammar);
    }

    private static String whole(Generation answer, Grammar grammar) {
        if (!grammar.matches(answer.text())) {
            throw new IncompleteAnswerException("The answer ended before it was whole (" + answer.finishReason()
                    + ", after " + answer.tokens().size() + " tokens): " + answer.text()
                    + " Allow more tokens or more time.");
        }
        return answer.text();
    }
}
