package dev.demitasse.nativecpu;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Instruction sets that kernels are compiled for, of {@code InstructionSet} in C++; later ones are better. */
enum InstructionSet {
    SSE42("sse4.2"),
    AVX2("avx2"),
    AVX2_VNNI("avx2-vnni"),
    AVX512_VNNI("avx512-vnni"),
    AMX("amx"),
    NEON("neon"),
    DOTPROD("dotprod"),
    I8MM("i8mm");

    private static final InstructionSet[] VALUES = values();

    private final String label;

    InstructionSet(String label) {
        this.label = label;
    }

    /** The number that C++ knows it by. */
    int number() {
        return Boundary.InstructionSet.of(this);
    }

    /** The name that users ask for. */
    String label() {
        return label;
    }

    /** Those of this machine. */
    static List<InstructionSet> available() {
        int bits = Kernels.instructionSets();
        List<InstructionSet> sets = new ArrayList<>();
        for (InstructionSet set : VALUES) {
            if ((bits >> set.number() & 1) != 0) {
                sets.add(set);
            }
        }
        return sets;
    }

    /** The one of that name, or null. */
    static @Nullable InstructionSet named(String name) {
        for (InstructionSet set : VALUES) {
            if (set.label.equals(name)) {
                return set;
            }
        }
        return null;
    }
}
