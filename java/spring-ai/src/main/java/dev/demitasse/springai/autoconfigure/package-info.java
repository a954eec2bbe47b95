/** Beans of an application of Spring Boot, by its properties {@code spring.ai.demitasse}. */
@NullMarked
package dev.demitasse.springai.autoconfigure;

import org.jspecify.annotations.NullMarked;
