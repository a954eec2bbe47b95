/** What GPU devices share: weights in tiles, the list of typed steps and its fusions, the tables of a batch. */
@NullMarked
package dev.demitasse.gpu;

import org.jspecify.annotations.NullMarked;
