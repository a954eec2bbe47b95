package dev.demitasse.langchain4j;

import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.condition.DisabledIf;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;
import org.junit.platform.commons.support.HierarchyTraversalMode;
import org.junit.platform.commons.support.ReflectionSupport;

/**
 * Says why a test of LangChain4j's suite does not concern this model, where the suite itself would only name the
 * condition. It decides nothing: the condition is asked as the suite asks it.
 */
final class SkipReasons implements ExecutionCondition {
    private static final String OTHERWISE =
            "the suite tests that a model refuses it; Demitasse's models do it, as the tests next to this one show";

    private static final Map<String, String> LACKING = Map.of(
            "supportsModelNameParameter", "the model is the one that was loaded; a request cannot name another",
            "supportsTools", "the chat template of SmolLM2 135M knows no tools (ChatModelsTest has one that does)",
            "supportsToolChoiceRequired", "the chat template of SmolLM2 135M knows no tools",
            "supportsToolChoiceRequiredWithSingleTool", "the chat template of SmolLM2 135M knows no tools",
            "supportsToolChoiceRequiredWithMultipleTools", "the chat template of SmolLM2 135M knows no tools",
            "supportsToolsAndJsonResponseFormatWithSchema",
                    "an answer has a form or may call tools, not both: such a request is refused, with any model");

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        return AnnotationSupport.findAnnotation(context.getElement(), EnabledIf.class)
                .filter(condition -> !holds(context, condition.value()))
                .map(condition -> ConditionEvaluationResult.disabled(lacking(condition.value())))
                .or(() -> AnnotationSupport.findAnnotation(context.getElement(), DisabledIf.class)
                        .filter(condition -> holds(context, condition.value()))
                        .map(condition -> ConditionEvaluationResult.disabled(OTHERWISE)))
                .orElseGet(() -> ConditionEvaluationResult.enabled("it concerns this model"));
    }

    private static String lacking(String condition) {
        if (condition.contains("Image")) {
            return "models read text alone here, no pictures: " + condition;
        }
        return Objects.requireNonNull(LACKING.get(condition), "no reason is known why not " + condition);
    }

    private static boolean holds(ExtensionContext context, String condition) {
        Object test = context.getRequiredTestInstance();
        return ReflectionSupport.findMethods(
                        test.getClass(),
                        method -> method.getName().equals(condition) && method.getParameterCount() == 0,
                        HierarchyTraversalMode.BOTTOM_UP)
                .stream()
                .findFirst()
                .map(method -> (boolean) ReflectionSupport.invokeMethod(method, test))
                .orElseThrow();
    }
}
