package dev.demitasse.quant;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** Rows of four or eight integers, of which types of two and three bits store the numbers (ggml's grids). */
enum Codebook {
    /** 256 rows of eight. */
    IQ2_XXS(8, 8, 25, 43),
    /** 512 rows of eight. */
    IQ2_XS(8, 8, 25, 43),
    /** 1,024 rows of eight. */
    IQ2_S(8, 8, 25, 43),
    /** 256 rows of four. */
    IQ3_XXS(4, 4, 12, 20, 28, 36, 44, 52, 62),
    /** 512 rows of four. */
    IQ3_S(4, 1, 3, 5, 7, 9, 11, 13, 15),
    /** 2,048 rows of eight. */
    IQ1_S(8, -1, 0, 1);

    private static final String RESOURCE = "codebooks.txt";

    private final int width;
    private final int[] levels;

    Codebook(int width, int... levels) {
        this.width = width;
        this.levels = levels;
    }

    /** The tables, read when one is wanted first: most models want none. */
    private static final class Tables {
        private static final Map<String, String> DIGITS = read();

        private static Map<String, String> read() {
            Map<String, StringBuilder> tables = new HashMap<>();
            StringBuilder current = new StringBuilder();
            for (String line : text().split("\n")) {
                if (line.startsWith("[")) {
                    current = new StringBuilder();
                    tables.put(line.substring(1, line.length() - 1), current);
                } else if (!line.startsWith("#")) {
                    current.append(line);
                }
            }
            Map<String, String> digits = new HashMap<>();
            tables.forEach((name, table) -> digits.put(name, table.toString()));
            return digits;
        }

        private static String text() {
            try (InputStream in = Codebook.class.getResourceAsStream(RESOURCE)) {
                if (in == null) {
                    throw new IllegalStateException("the library is not whole: it has no " + RESOURCE);
                }
                return new String(in.readAllBytes(), StandardCharsets.US_ASCII);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    /** All rows behind each other. */
    byte[] rows() {
        String digits = Tables.DIGITS.getOrDefault(name(), "");
        byte[] rows = new byte[digits.length()];
        for (int i = 0; i < rows.length; i++) {
            rows[i] = (byte) levels[digits.charAt(i) - '0'];
        }
        return rows;
    }

    int width() {
        return width;
    }
}
