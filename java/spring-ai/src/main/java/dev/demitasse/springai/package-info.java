/** Models of Spring AI on models in this process. */
@NullMarked
package dev.demitasse.springai;

import org.jspecify.annotations.NullMarked;
