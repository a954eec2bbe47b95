package dev.demitasse.grammar;

import dev.demitasse.exception.UsageException;
import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Numbers between two bounds, as JSON writes them without an exponent: digit by digit, for as long as they are those of
 * a bound.
 *
 * @param least the lower bound; null for none
 * @param leastOpen whether it is left out
 * @param most the upper bound; null for none
 * @param mostOpen whether it is left out
 * @param whole whether only whole numbers are meant
 */
record NumberRange(
        @Nullable BigDecimal least,
        boolean leastOpen,
        @Nullable BigDecimal most,
        boolean mostOpen,
        boolean whole) {
    private static final int MOST_DIGITS = 400;
    private static final Expression DIGIT = new Expression.Chars(CharSet.DIGITS);
    private static final Expression ZERO = Expression.literal("0");

    /** The texts of these numbers; {@link Expression#NOTHING} where there is none. */
    Expression texts() {
        if (least == null && most == null) {
            return whole ? JsonTexts.INTEGER : JsonTexts.NUMBER;
        }
        NumberRange range = whole ? closed() : this;
        BigDecimal from = range.least;
        BigDecimal to = range.most;
        List<Expression> parts = new ArrayList<>();
        if (to == null || to.signum() >= 0) {
            boolean positive = from == null || from.signum() < 0;
            parts.add(new Magnitude(
                            positive || from == null ? BigDecimal.ZERO : from,
                            !positive && range.leastOpen,
                            to,
                            range.mostOpen,
                            whole)
                    .texts());
        }
        if (from == null || from.signum() < 0) {
            boolean allNegative = to == null || to.signum() >= 0;
            BigDecimal nearest = allNegative || to == null ? BigDecimal.ZERO : to.negate();
            Expression negative = new Magnitude(
                            nearest,
                            allNegative || range.mostOpen,
                            from == null ? null : from.negate(),
                            range.leastOpen,
                            whole)
                    .texts();
            parts.add(Expression.sequence(Expression.literal("-"), negative));
        }
        return new Expression.Choice(parts);
    }

    /** The same range of whole numbers, its bounds whole and in it. */
    private NumberRange closed() {
        BigDecimal from = least == null ? null : least.setScale(0, RoundingMode.CEILING);
        if (from != null && leastOpen && from.compareTo(least) == 0) {
            from = from.add(BigDecimal.ONE);
        }
        BigDecimal to = most == null ? null : most.setScale(0, RoundingMode.FLOOR);
        if (to != null && mostOpen && to.compareTo(most) == 0) {
            to = to.subtract(BigDecimal.ONE);
        }
        return new NumberRange(from, false, to, false, true);
    }

    /** Numbers without a sign. */
    private static final class Magnitude {
        private final String low; // digits before the point
        private final String lowFraction; // behind it, without zeros at the end
        private final boolean lowOpen;
        private final @Nullable String high;
        private final String highFraction;
        private final boolean highOpen;
        private final boolean whole;
        private final boolean empty;

        Magnitude(BigDecimal low, boolean lowOpen, @Nullable BigDecimal high, boolean highOpen, boolean whole) {
            boolean openLow = lowOpen && !whole;
            BigDecimal from = lowOpen && whole ? low.add(BigDecimal.ONE) : low; // below zero, zero is left out
            int order = high == null ? -1 : from.compareTo(high);
            this.low = digits(from);
            this.lowFraction = fraction(from);
            this.lowOpen = openLow;
            this.high = high == null ? null : digits(high);
            this.highFraction = high == null ? "" : fraction(high);
            this.highOpen = highOpen;
            this.whole = whole;
            this.empty = order > 0 || order == 0 && (openLow || highOpen);
        }

        private static String digits(BigDecimal number) {
            if (Math.abs((long) number.precision() - number.scale()) > MOST_DIGITS || number.scale() > MOST_DIGITS) {
                throw new UsageException("The bound " + number + " has more than " + MOST_DIGITS + " digits.");
            }
            return number.toBigInteger().toString();
        }

        private static String fraction(BigDecimal number) {
            String plain = number.toPlainString();
            int point = plain.indexOf('.');
            return point < 0 ? "" : plain.substring(point + 1).replaceFirst("0+$", "");
        }

        Expression texts() {
            if (empty) {
                return Expression.NOTHING;
            }
            List<Expression> byLength = new ArrayList<>();
            byLength.add(digits(low.length(), 0, true, high != null && high.length() == low.length()));
            int longer = low.length() + 1;
            if (high == null) {
                byLength.add(loose(longer, Expression.UNLIMITED));
            } else if (high.length() > low.length()) {
                if (high.length() > longer) {
                    byLength.add(loose(longer, high.length() - 1));
                }
                byLength.add(digits(high.length(), 0, false, true));
            }
            return new Expression.Choice(byLength);
        }

        /** Numbers whose length alone tells that they are between the bounds. */
        private Expression loose(int from, int to) {
            Expression others = new Expression.Repeat(DIGIT, from - 1, to == Expression.UNLIMITED ? to : to - 1);
            return Expression.sequence(Expression.digits('1', '9'), others, anyFraction());
        }

        private Expression anyFraction() {
            return whole
                    ? Expression.EMPTY
                    : Expression.optional(Expression.sequence(
                            Expression.literal("."), new Expression.Repeat(DIGIT, 1, Expression.UNLIMITED)));
        }

        /**
         * Numbers with so many digits before the point.
         *
         * @param at how many of them were read
         * @param asLow whether those are the lower bound's
         * @param asHigh whether those are the upper bound's
         */
        private Expression digits(int length, int at, boolean asLow, boolean asHigh) {
            if (at == length) {
                return whole ? Expression.EMPTY : fraction(asLow, asHigh);
            }
            if (!asLow && !asHigh) {
                return Expression.sequence(new Expression.Repeat(DIGIT, length - at, length - at), anyFraction());
            }
            char least = at == 0 && length > 1 ? '1' : '0';
            char from = asLow ? low.charAt(at) : least;
            char to = asHigh && high != null ? high.charAt(at) : '9';
            List<Expression> next = new ArrayList<>();
            for (Piece piece : pieces(from, to, asLow, asHigh)) {
                next.add(Expression.sequence(
                        Expression.digits(piece.from, piece.to), digits(length, at + 1, piece.asLow, piece.asHigh)));
            }
            return new Expression.Choice(next);
        }

        private record Piece(char from, char to, boolean asLow, boolean asHigh) {}

        /** A range of digits, those apart that are a bound's. */
        private static List<Piece> pieces(char from, char to, boolean asLow, boolean asHigh) {
            List<Piece> pieces = new ArrayList<>();
            if (from == to) {
                pieces.add(new Piece(from, to, asLow, asHigh));
            } else if (from < to) {
                if (asLow) {
                    pieces.add(new Piece(from, from, true, false));
                }
                char first = (char) (asLow ? from + 1 : from);
                char last = (char) (asHigh ? to - 1 : to);
                if (first <= last) {
                    pieces.add(new Piece(first, last, false, false));
                }
                if (asHigh) {
                    pieces.add(new Piece(to, to, false, true));
                }
            }
            return pieces;
        }

        /** What follows the digits before the point. */
        private Expression fraction(boolean asLow, boolean asHigh) {
            if (!asLow && !asHigh) {
                return anyFraction();
            }
            List<Expression> ways = new ArrayList<>();
            if (mayEnd(0, asLow, asHigh)) {
                ways.add(Expression.EMPTY);
            }
            ways.add(Expression.sequence(Expression.literal("."), fractionDigit(0, asLow, asHigh)));
            return new Expression.Choice(ways);
        }

        /** Whether nothing but zeros may follow so many digits of the fraction. */
        private boolean mayEnd(int at, boolean asLow, boolean asHigh) {
            boolean reachesLow = !asLow || at >= lowFraction.length() && !lowOpen;
            boolean staysBelow = !asHigh || at < highFraction.length() || !highOpen;
            return reachesLow && staysBelow;
        }

        /** One more digit of the fraction, and what may follow it. */
        private Expression fractionDigit(int at, boolean asLow, boolean asHigh) {
            boolean pastLow = asLow && at >= lowFraction.length();
            boolean pastHigh = asHigh && at >= highFraction.length();
            if (pastHigh && (!asLow || pastLow)) { // zeros only, where the bound itself is in the range
                boolean in = !highOpen && !(asLow && lowOpen);
                return in ? new Expression.Repeat(ZERO, 1, Expression.UNLIMITED) : Expression.NOTHING;
            }
            if (pastLow && !asHigh) {
                return lowOpen
                        ? Expression.sequence(Expression.any(ZERO), Expression.digits('1', '9'), Expression.any(DIGIT))
                        : new Expression.Repeat(DIGIT, 1, Expression.UNLIMITED);
            }
            char from = asLow && !pastLow ? lowFraction.charAt(at) : '0';
            char to = asHigh ? pastHigh ? '0' : highFraction.charAt(at) : '9';
            List<Expression> next = new ArrayList<>();
            for (Piece piece : pieces(from, to, asLow, asHigh)) {
                next.add(Expression.sequence(
                        Expression.digits(piece.from, piece.to), behindDigit(at + 1, piece.asLow, piece.asHigh)));
            }
            return new Expression.Choice(next);
        }

        private Expression behindDigit(int at, boolean asLow, boolean asHigh) {
            if (!asLow && !asHigh) {
                return Expression.any(DIGIT);
            }
            Expression more = fractionDigit(at, asLow, asHigh);
            return mayEnd(at, asLow, asHigh) ? Expression.optional(more) : more;
        }
    }
}
