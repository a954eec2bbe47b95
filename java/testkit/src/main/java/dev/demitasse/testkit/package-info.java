/** Kernel cases, contract tests and golden answers that every device's tests share. */
@NullMarked
package dev.demitasse.testkit;

import org.jspecify.annotations.NullMarked;
