package dev.demitasse.quant;

/** The sixteen uneven levels that 4-bit codes of some tensor types stand for, as integers. */
public enum LevelTable {
    /** IQ4_NL and IQ4_XS (ggml). */
    IQ4(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113),
    /** MXFP4 and NVFP4: E2M1 of the OCP Microscaling Formats 1.0, doubled. */
    FP4(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);

    private final byte[] levels = new byte[16];

    LevelTable(int... levels) {
        for (int i = 0; i < levels.length; i++) {
            this.levels[i] = (byte) levels[i];
        }
    }

    /** The level of each code. */
    public byte[] levels() {
        return levels.clone();
    }

    byte level(int code) {
        return levels[code];
    }
}
