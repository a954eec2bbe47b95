package dev.demitasse.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TemplateLimitsTest {
    private static String render(String template, Map<String, Object> context) {
        return ChatTemplate.parse(template).render(context);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{% for i in range(1000000) %}{% endfor %}",
                "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
                "{% set a = 'x' * 1000000000 %}",
                "{% set ns = namespace(a='x') %}{% for i in range(64) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
                "{% set ns = namespace(a='x') %}{% for i in range(64) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
                "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
                "{{ 9223372036854775807 + 1 }}",
                "{{ 1 // 0 }}",
                "{{ x.y.z }}",
                "{{ 'abc'.getClass() }}",
                "{{ messages.__class__ }}{{ messages.__class__.__mro__ }}",
                "{{ [1].append(2) }}",
                "{% include 'secret' %}",
                "{% if %}",
                "{{ 1 +",
                "{% for a in [1] %}",
                "{{ 'a' | nosuchfilter }}",
                "{{ 'a' is nosuchtest }}"
            })
    void endsInATemplateException(String template) {
        assertThatThrownBy(() -> render(template, Map.of("messages", List.of())))
                .isInstanceOf(JinjaException.class);
    }

    @Test
    void deepNestingEndsInATemplateException() {
        assertThatThrownBy(() -> render("{{ " + "(".repeat(20_000) + "1" + ")".repeat(20_000) + " }}", Map.of()))
                .isInstanceOf(JinjaException.class);
        assertThatThrownBy(() -> render("{% if 1 %}".repeat(20_000) + "{% endif %}".repeat(20_000), Map.of()))
                .isInstanceOf(JinjaException.class);
        assertThatThrownBy(() -> render("{{ " + "-".repeat(20_000) + "1 }}", Map.of()))
                .isInstanceOf(JinjaException.class);
    }

    @Test
    void valuesAreNeverEvaluated() {
        Map<String, Object> context = new HashMap<>();
        context.put("x", "{{ 1 + 1 }}{% for i in range(3) %}a{% endfor %}");
        assertThat(render("{{ x }}", context)).isEqualTo("{{ 1 + 1 }}{% for i in range(3) %}a{% endfor %}");
    }

    @Test
    void errorsNameTheLine() {
        assertThatThrownBy(() -> render("a\nb\n{{ 1 | nosuch }}", Map.of())).hasMessageContaining("line 3");
        assertThatThrownBy(() -> render("a\n{% nosuch %}", Map.of())).hasMessageContaining("line 2");
    }
}
