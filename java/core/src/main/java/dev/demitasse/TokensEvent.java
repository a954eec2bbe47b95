package dev.demitasse;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Enabled;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** The wait for an answer's next token, or several where drafts were right, for Java Flight Recorder. */
@Name("demitasse.Tokens")
@Label("Tokens")
@Description("Tokens of an answer that came of one pass of the model; off unless it is asked for")
@Category("Demitasse")
@Enabled(false)
@StackTrace(false)
final class TokensEvent extends Event {
    @Label("Answer")
    @Description("The number of the answer: a demitasse.Answer has the same")
    long answer;

    @Label("Position")
    @Description("Tokens of the answer before them")
    int position;

    @Label("Count")
    int count;

    /** Tokens have come. */
    void complete(long number, int before, int tokens) {
        end();
        if (shouldCommit()) {
            answer = number;
            position = before;
            count = tokens;
            commit();
        }
    }
}
