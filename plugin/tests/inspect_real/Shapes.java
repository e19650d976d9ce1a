import java.util.ArrayList;
import java.util.List;

/** Objects of which the layout, the number and the names are known. Says "ready" and stays until its standard input ends. */
public class Shapes {
    /** Fields that are padded in each class of a hierarchy by itself. */
    static class Flag {
        boolean flag;
    }

    static class Number extends Flag {
        long number;
        short small;
    }

    static class Node extends Number {
        Object next;
        byte tail;
    }

    static final List<Object> KEPT = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < 1_001; i++) {
            KEPT.add(new Flag());
        }
        for (int i = 0; i < 2_002; i++) {
            KEPT.add(new Number());
        }
        for (int i = 0; i < 30_003; i++) {
            KEPT.add(new Node());
        }
        KEPT.add(new boolean[1][2][3]);
        KEPT.add(new Node[700_000]);
        KEPT.add(new double[300_000]);
        KEPT.add(new float[13]);
        KEPT.add(new short[17]);
        KEPT.add(new Node[5][0]);
        for (int i = 0; i < 3; i++) {
            hold("shapes-" + i);
        }
        hold("w\u00e4chter");
        hold("\u65e5\u672c");
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
    }

    /** Starts a thread that waits for ever, and returns when it waits. */
    static void hold(String name) {
        final Object monitor = new Object();
        Thread thread = new Thread(() -> {
            synchronized (monitor) {
                while (true) {
                    try {
                        monitor.wait();
                    } catch (InterruptedException end) {
                        return;
                    }
                }
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
        while (thread.getState() != Thread.State.WAITING) {
            Thread.yield();
        }
    }
}
