package dev.demitasse;

/** The text of one kind of parts of an answer; white space at their borders belongs to none. */
final class PartText {
    private final StringBuilder all = new StringBuilder();
    private final StringBuilder space = new StringBuilder(); // that may be at a border
    private boolean begins; // whether a part has begun, and nothing of it came yet

    /** Adds a piece, and returns what is certain of it. */
    String add(String piece) {
        String text = begins ? piece.stripLeading() : piece;
        String solid = text.stripTrailing();
        String certain = "";
        if (!solid.isEmpty()) {
            certain = (begins && !all.isEmpty() ? "\n\n" : "") + space + solid;
            space.setLength(0);
            begins = false;
            all.append(certain);
        }
        space.append(text, solid.length(), text.length());
        return certain;
    }

    /** What comes next is another part. */
    void border() {
        begins = true;
        space.setLength(0);
    }

    /** No more comes: what is certain now. */
    String finish() {
        String rest = space.toString();
        space.setLength(0);
        all.append(rest);
        return rest;
    }

    @Override
    public String toString() {
        return all.toString();
    }
}
