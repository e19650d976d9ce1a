import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/** A heap of which some numbers are known. Says "ready" and stays until its standard input ends. */
public class Heap {
    static class Known {
        Object next;
        double number;
        boolean flag;
    }

    static class Derived extends Known {
        char[] text = new char[3];
    }

    static final List<Object> KEPT = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        for (int i = 0; i < 12_345; i++) {
            KEPT.add(new Known());
        }
        for (int i = 0; i < 678; i++) {
            KEPT.add(new Derived());
        }
        for (int i = 0; i < 77; i++) {
            KEPT.add(new long[1001]);
        }
        // Larger than a writer's buffer: a segment of its own.
        KEPT.add(new byte[20_000_000]);
        KEPT.add(new Object[3_000_000]);
        parkVirtualThreads();
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
    }

    /** Stacks of virtual threads without a carrier, where the JVM has any: their records stand between the heap's. */
    static void parkVirtualThreads() throws Exception {
        java.lang.reflect.Method start;
        try {
            start = Thread.class.getMethod("startVirtualThread", Runnable.class);
        } catch (NoSuchMethodException older) {
            return;
        }
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            Runnable park = LockSupport::park;
            threads.add((Thread) start.invoke(null, park));
        }
        for (Thread thread : threads) {
            while (thread.getState() != Thread.State.WAITING) {
                Thread.yield();
            }
        }
    }
}
