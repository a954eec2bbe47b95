/**
 * Grammars that an answer is to follow: of GBNF, JSON Schema, regular expressions or a list of texts; and which tokens
 * of a vocabulary they let come next.
 */
@org.jspecify.annotations.NullMarked
package dev.demitasse.grammar;
