package dev.demitasse.model;

import dev.demitasse.exception.ModelFormatException;
import dev.demitasse.gguf.Metadata;
import java.util.Arrays;

/** The metadata keys of a file that begin with its architecture's name, with limits. */
record ArchitectureKeys(Metadata metadata, Architecture architecture) {
    /** The most elements of a row. */
    static final int MAXIMUM_WIDTH = 1 << 20;
    /** The most layers of a model. */
    static final int MAXIMUM_LAYERS = 1024;

    /** The whole key. */
    String key(String name) {
        return architecture.key() + "." + name;
    }

    boolean has(String name) {
        return metadata.has(key(name));
    }

    /** A number that must be there and between limits. */
    int bounded(String name, int least, int most) {
        int value = metadata.integer(key(name));
        if (value < least || value > most) {
            throw bad(name, "is " + value + "; " + least + " to " + most + " are possible");
        }
        return value;
    }

    /** The same; the least where it is not there. */
    int optional(String name, int least, int most) {
        return has(name) ? bounded(name, least, most) : least;
    }

    int integer(String name, int otherwise) {
        return metadata.integer(key(name), otherwise);
    }

    /**
     * A number for each block of the model: a list, or one for all.
     *
     * @param otherwise the one for all where the key is missing
     */
    int[] perBlock(String name, int blocks, int otherwise) {
        int[] listed = metadata.isArray(key(name)) ? metadata.integers(key(name)) : null;
        if (listed != null && listed.length != blocks) {
            throw bad(name, "has " + listed.length + " entries for " + blocks + " blocks");
        }
        if (listed != null) {
            return listed;
        }
        int[] same = new int[blocks];
        Arrays.fill(same, integer(name, otherwise));
        return same;
    }

    float number(String name, float otherwise) {
        return metadata.number(key(name), otherwise);
    }

    float positive(String name, float otherwise) {
        float value = number(name, otherwise);
        if (!(value > 0)) {
            throw bad(name, "is " + value + "; it must be above zero");
        }
        return value;
    }

    /** A factor; files say "none" by 0. */
    float factor(String name, float otherwise) {
        float value = number(name, 0);
        return value == 0 ? otherwise : value;
    }

    /** What to throw where a key's value cannot be. */
    ModelFormatException bad(String name, String why) {
        return metadata.bad(key(name), why);
    }
}
