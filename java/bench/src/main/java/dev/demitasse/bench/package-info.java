/** JMH benchmarks over the cases that the contract tests check. */
@NullMarked
package dev.demitasse.bench;

import org.jspecify.annotations.NullMarked;
