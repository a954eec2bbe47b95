package dev.demitasse.quant;

import java.util.Arrays;

/** The sixteen uneven levels that 4-bit codes of some tensor types stand for, as integers. */
public enum LevelTable {
    /** IQ4_NL and IQ4_XS (ggml). */
    IQ4(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113),
    /** MXFP4 and NVFP4: E2M1 of the OCP Microscaling Formats 1.0, doubled. */
    FP4(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

    private static final byte NONE = -1;

    private final byte[] levels = new byte[16];
    private final byte[] places = new byte[256]; // of each level plus 128

    LevelTable(int... levels) {
        for (int i = 0; i < levels.length; i++) {
            this.levels[i] = (byte) levels[i];
        }
        Arrays.fill(places, NONE);
        for (int place = levels.length - 1; place >= 0; place--) { // of equals the first
            places[levels[place] + 128] = (byte) place;
        }
    }

    /** {@return the level of each code} */
    public byte[] levels() {
        return levels.clone();
    }

    /**
     * {@return the level of a code}
     *
     * @param code 0 to 15
     */
    public byte level(int code) {
        return levels[code];
    }

    /**
     * {@return the code of an integer, the first where several are equal; below 0 where it is no level}
     *
     * @param integer any byte
     */
    public byte place(byte integer) {
        return places[integer + 128];
    }
}
