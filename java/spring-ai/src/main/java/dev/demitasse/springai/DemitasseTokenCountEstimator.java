package dev.demitasse.springai;

import dev.demitasse.Model;
import dev.demitasse.exception.UsageException;
import org.jspecify.annotations.Nullable;
import org.springframework.ai.content.MediaContent;
import org.springframework.ai.tokenizer.TokenCountEstimator;

/** Spring AI's count of tokens, exact for one model: of texts, without what a chat template adds to them. */
public final class DemitasseTokenCountEstimator implements TokenCountEstimator {
    private final Model model;

    /**
     * By a model that stays the caller's.
     *
     * @param model whose tokenizer counts
     */
    public DemitasseTokenCountEstimator(Model model) {
        this.model = model;
    }

    @Override
    public int estimate(@Nullable String text) {
        return text == null ? 0 : model.tokenizer().encode(text, false).length;
    }

    @Override
    public int estimate(MediaContent content) {
        if (!content.getMedia().isEmpty()) {
            throw new UsageException("A message has media; models read text alone here.");
        }
        return estimate(content.getText());
    }

    @Override
    public int estimate(Iterable<MediaContent> messages) {
        int count = 0;
        for (MediaContent message : messages) {
            count += estimate(message);
        }
        return count;
    }
}
