/** What is tested of the engine on every device. */
@org.jspecify.annotations.NullMarked
package dev.demitasse.runtime;
