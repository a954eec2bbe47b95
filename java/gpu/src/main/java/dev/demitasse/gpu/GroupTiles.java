package dev.demitasse.gpu;

/**
 * How rows of groups are shared out to blocks of a kernel: each block has up to {@code rows} rows of one group, which
 * the device's list of tiles names, four integers each: the group, its first row, the end of its rows, 0. Tiles that
 * are launched and not needed have no rows: they begin and end at row 1.
 *
 * @param rows of a tile
 * @param align a group's first row is a multiple of this
 */
public record GroupTiles(int rows, int align) {
    /** How rows of groups are shared out. */
    interface Sharing {
        /** For so many rows of groups, of which none has more than {@code most}. */
        GroupTiles of(int rows, int groups, int most);
    }

    /** Integers of a tile in a list. */
    static final int WORDS = 4;

    /** Rows that {@code count} rows of {@code groups} groups take with those that are left free, at most. */
    int padded(int count, int groups) {
        return Math.addExact(count, (align - 1) * Math.min(count, groups));
    }

    /** Tiles that {@code count} rows of {@code groups} groups make, at most. */
    int most(int count, int groups) {
        return Math.toIntExact((count + (rows - 1L) * Math.min(count, groups)) / rows);
    }

    /** Tiles with rows that {@code count} rows make, at least, where no group has more than {@code most}. */
    int fewest(int count, int most) {
        int each = Math.max(1, Math.min(rows, most));
        return (count + each - 1) / each;
    }

    /** The tiles of groups that begin at {@code starts}, and end where the last one says. */
    int[] of(int[] starts) {
        int groups = starts.length - 1;
        int[] tiles = new int[most(starts[groups], groups) * WORDS];
        int at = 0;
        for (int g = 0; g < groups; g++) {
            for (int first = starts[g]; first < starts[g + 1]; first += rows) {
                tiles[at] = g;
                tiles[at + 1] = first;
                tiles[at + 2] = Math.min(first + rows, starts[g + 1]);
                at += WORDS;
            }
        }
        for (; at < tiles.length; at += WORDS) {
            tiles[at + 1] = 1;
            tiles[at + 2] = 1;
        }
        return tiles;
    }
}
