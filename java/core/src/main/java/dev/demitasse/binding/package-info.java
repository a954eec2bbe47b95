/** Java's records as JSON: their schemas, and their values. */
@org.jspecify.annotations.NullMarked
package dev.demitasse.binding;
