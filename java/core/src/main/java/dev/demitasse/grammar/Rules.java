package dev.demitasse.grammar;

import java.util.Map;

/**
 * A grammar's rules.
 *
 * @param byName what each says
 * @param root the name of the one that a whole text follows
 */
record Rules(Map<String, Expression> byName, String root) {
    static final String ROOT = "root";

    static Rules of(Expression root) {
        return new Rules(Map.of(ROOT, root), ROOT);
    }
}
