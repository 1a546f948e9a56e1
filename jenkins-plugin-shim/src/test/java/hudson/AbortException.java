package hudson;

import java.io.IOException;

/** Stands for Jenkins' exception of this name: a step failed, and its message says it all. */
public class AbortException extends IOException {
    public AbortException(String message) {
        super(message);
    }
}
