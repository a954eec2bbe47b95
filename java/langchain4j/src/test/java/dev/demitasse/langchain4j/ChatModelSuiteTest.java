package dev.demitasse.langchain4j;

import dev.demitasse.GenerationOptions;
import dev.demitasse.Model;
import dev.demitasse.ModelOptions;
import dev.demitasse.testkit.Golden;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.common.AbstractChatModelIT;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** LangChain4j's own tests of chat models, with SmolLM2 135M. What is switched off says why. */
@ExtendWith(SkipReasons.class)
class ChatModelSuiteTest extends AbstractChatModelIT {
    private static Model model;

    @BeforeAll
    static void load() {
        // By its file: the catalogue's system message wants short answers, and the questions are about forms.
        model = Model.load(Golden.model("SmolLM2-135M-Instruct.Q4_1.gguf"), ModelOptions.DEFAULT);
    }

    @AfterAll
    static void close() {
        if (model != null) {
            model.close();
        }
    }

    @Override
    protected List<ChatModel> models() {
        return List.of(createModelWith(ChatRequestParameters.builder().build()));
    }

    @Override
    protected ChatModel createModelWith(ChatRequestParameters parameters) {
        return DemitasseChatModel.builder(model)
                .options(GenerationOptions.GREEDY)
                .defaultRequestParameters(parameters)
                .build();
    }

    @Override
    protected ChatRequestParameters createIntegrationSpecificParameters(int maxOutputTokens) {
        return ChatRequestParameters.builder().maxOutputTokens(maxOutputTokens).build(); // there are no others
    }

    /** The model is the one that was loaded. */
    @Override
    protected boolean supportsModelNameParameter() {
        return false;
    }

    /** SmolLM2's chat template knows no tools; ChatModelsTest has a model whose template does. */
    @Override
    protected boolean supportsTools() {
        return false;
    }

    /** Models read text alone here. */
    @Override
    protected boolean supportsSingleImageInputAsBase64EncodedString() {
        return false;
    }

    @Override
    protected boolean supportsMultipleImageInputsAsBase64EncodedStrings() {
        return false;
    }

    @Override
    protected boolean supportsSingleImageInputAsPublicURL() {
        return false;
    }

    @Override
    protected boolean supportsMultipleImageInputsAsPublicURLs() {
        return false;
    }

    @Override
    protected boolean supportsToolChoiceRequired() {
        return false;
    }

    @Override
    protected boolean supportsToolsAndJsonResponseFormatWithSchema() {
        return false;
    }

    @Override
    @ParameterizedTest
    @MethodSource("models")
    protected void should_respect_system_message(ChatModel chat) {
        Assumptions.abort(
                "a model of 135 million parameters does not translate: it answers \"Ich habe die Frage 'I love"
                        + " you' in German\"");
    }

    @Override
    @ParameterizedTest
    @MethodSource("models")
    protected void should_respect_multiple_messages(ChatModel chat) {
        Assumptions.abort("a model of 135 million parameters does not remember what was said: told the user's favorite"
                + " color and asked for it, it has no \"personal preference\"");
    }
}
