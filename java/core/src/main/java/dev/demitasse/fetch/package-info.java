/** Models that can be fetched by name: the catalogue, downloads, and the folder where they lie. */
@NullMarked
package dev.demitasse.fetch;

import org.jspecify.annotations.NullMarked;
