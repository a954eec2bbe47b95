package dev.demitasse.gpu;

import dev.demitasse.device.BatchRows;
import dev.demitasse.device.Pass;
import dev.demitasse.device.TokenIds;
import java.util.ArrayList;
import java.util.List;

/**
 * What a pass has recorded: which steps of a list are its, and what it has put into the step's data, in order. With
 * other ids, and as many rows, the same steps come from the same pass, where all that is put comes to the same
 * addresses.
 */
final class PassRecord {
    /** A piece of the step's data. */
    sealed interface Piece {
        /** The ids, at an address. */
        record Ids(long address) implements Piece {}

        /** Numbers that are the same for as many rows, at an address. */
        record Numbers(int[] values, long address) implements Piece {}

        /** The rows. */
        record Tables(BatchTables.Rows rows) implements Piece {}

        /** How attention takes the rows. */
        record Plan(AttentionPlan.Terms terms, AttentionPlan plan) implements Piece {}
    }

    final Pass pass;
    final int first;
    final long from;
    private final TokenIds ids;
    private final BatchRows rows;
    private final List<Piece> pieces = new ArrayList<>();
    private int count;

    /**
     * A record that begins.
     *
     * @param ids as the device takes them
     * @param first index of its first step
     * @param from address of its first data
     */
    PassRecord(Pass pass, TokenIds ids, BatchRows rows, int first, long from) {
        this.pass = pass;
        this.ids = ids;
        this.rows = rows;
        this.first = first;
        this.from = from;
    }

    void add(Piece piece) {
        pieces.add(piece);
    }

    /** Its last step has the index {@code end - 1}. */
    void end(int end) {
        count = end - first;
    }

    int count() {
        return count;
    }

    List<Piece> pieces() {
        return pieces;
    }

    /** Whether {@code array} holds the ids. */
    boolean isIds(int[] array) {
        return ids instanceof TokenIds.Given given && given.ids() == array;
    }

    boolean isRows(BatchRows wanted) {
        return wanted == rows;
    }

    /** Whether there are as many rows, and ids from where they came; the host's come from the step's data. */
    boolean takes(TokenIds wanted, BatchRows wantedRows) {
        return rows.count() == wantedRows.count()
                && (ids instanceof TokenIds.Given ? wanted instanceof TokenIds.Given : ids.equals(wanted));
    }
}
