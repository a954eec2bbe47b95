package dev.demitasse.quantize.advise;

import dev.demitasse.exception.UsageException;
import java.util.Arrays;

/** A cost that grows with a number, of rows or bytes: straight between the points that are known, and beyond them. */
public final class Curve {
    private final double[] rows;
    private final double[] costs;
    private final double slope;

    /**
     * A curve through points, which goes on as between the last two.
     *
     * @param rows ascending, at least one
     * @param costs one for each
     */
    public Curve(double[] rows, double[] costs) {
        this(rows, costs, lastSlope(rows, costs));
    }

    /**
     * A curve through points.
     *
     * @param rows ascending, at least one
     * @param costs one for each
     * @param slope the cost of a further row beyond the last point
     */
    public Curve(double[] rows, double[] costs, double slope) {
        boolean ascending = rows.length > 0 && rows.length == costs.length;
        for (int i = 1; ascending && i < rows.length; i++) {
            ascending = rows[i] > rows[i - 1];
        }
        if (!ascending) {
            throw new UsageException("A curve needs points of ascending rows, not " + Arrays.toString(rows) + " and "
                    + costs.length + " costs.");
        }
        this.rows = rows.clone();
        this.costs = costs.clone();
        this.slope = slope;
    }

    private static double lastSlope(double[] rows, double[] costs) {
        int last = Math.min(rows.length, costs.length) - 1;
        return last < 1 ? 0 : (costs[last] - costs[last - 1]) / (rows[last] - rows[last - 1]);
    }

    /** {@return the numbers of rows where the cost is known, ascending} */
    public double[] rows() {
        return rows.clone();
    }

    /**
     * {@return a straight line: {@code fixed + perRow * rows}}
     *
     * @param fixed the cost of zero rows
     * @param perRow the cost of each row
     */
    public static Curve line(double fixed, double perRow) {
        return new Curve(new double[] {0, 1}, new double[] {fixed, fixed + perRow});
    }

    /**
     * {@return the cost of that many rows; never below zero}
     *
     * @param row how many rows
     */
    public double at(double row) {
        int last = rows.length - 1;
        if (last == 0 || row > rows[last]) {
            return Math.max(0, costs[last] + slope * (row - rows[last]));
        }
        int i = 1;
        while (row > rows[i]) {
            i++;
        }
        double between = (costs[i] - costs[i - 1]) / (rows[i] - rows[i - 1]);
        return Math.max(0, costs[i - 1] + between * (row - rows[i - 1]));
    }

    /** {@return the cost of a further row beyond the last point} */
    public double slope() {
        return slope;
    }

    /**
     * {@return a curve with all costs times {@code factor}}
     *
     * @param factor what costs are multiplied by
     */
    public Curve times(double factor) {
        return new Curve(rows, Arrays.stream(costs).map(cost -> cost * factor).toArray(), slope * factor);
    }
}
