import java.math.BigInteger;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.interfaces.RSAPrivateCrtKey;
import java.util.ArrayList;
import java.util.List;

/**
 * Keeps secrets, and says what they are: a line each of kind and hexadecimal digits. None of them stands in this text, which
 * the JVM that compiles it holds as well. Then it says "ready" and stays until its standard input ends.
 */
public class Secrets {
    static class Base {
        Object before = new Object();
        long inherited;
    }

    static class Holder extends Base {
        boolean flag = true;
        Object between = new Object();
        int number = 3;
        double real;
        Object after = new Object();
    }

    static final SecureRandom RANDOM = new SecureRandom();
    static final List<Object> KEPT = new ArrayList<>();
    static long kept;

    public static void main(String[] arguments) throws Exception {
        String string = text(24);
        keep("string", string.getBytes("ISO-8859-1"), string);
        String wide = text(12) + (char) (0x4e00 + RANDOM.nextInt(256)) + text(11);
        keep("wide", wide.getBytes("UTF-16BE"), wide);
        char[] chars = text(24).toCharArray();
        keep("chars", new String(chars).getBytes("ISO-8859-1"), chars);
        byte[] bytes = new byte[24];
        RANDOM.nextBytes(bytes);
        keep("bytes", bytes, bytes);
        StringBuilder builder = new StringBuilder();
        while (builder.length() < 24) {
            builder.append(text(1));
        }
        keep("builder", builder.toString().getBytes("ISO-8859-1"), builder);
        String pin = digits(8);
        keep("pin", pin.getBytes("ISO-8859-1"), pin);
        say("hash", new byte[] {
            (byte) (pin.hashCode() >> 24), (byte) (pin.hashCode() >> 16), (byte) (pin.hashCode() >> 8), (byte) pin.hashCode()
        });
        keepKey();
        keepNumbers();
        System.out.println("ready");
        while (System.in.read() >= 0) {
        }
    }

    /** Parts of a private key, of which a BigInteger keeps the bits in an int[]. */
    static void keepKey() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        RSAPrivateCrtKey key = (RSAPrivateCrtKey) generator.generateKeyPair().getPrivate();
        // The encoded form would be a byte[] of the same bits.
        BigInteger[] numbers = {key.getPrivateExponent(), key.getPrimeP(), key.getPrimeQ()};
        for (BigInteger number : numbers) {
            byte[] bits = number.toByteArray();
            byte[] end = new byte[64];
            System.arraycopy(bits, bits.length - end.length, end, 0, end.length);
            keep("key", end, number);
        }
    }

    static void keepNumbers() {
        Holder holder = new Holder();
        holder.inherited = RANDOM.nextLong();
        keep("inherited", BigInteger.valueOf(holder.inherited), holder);
        holder.real = RANDOM.nextDouble();
        keep("own", BigInteger.valueOf(Double.doubleToRawLongBits(holder.real)), holder);
        kept = RANDOM.nextLong();
        keep("static", BigInteger.valueOf(kept), holder);
    }

    static String text(int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append((char) ('a' + RANDOM.nextInt(26)));
        }
        return text.toString();
    }

    static String digits(int length) {
        StringBuilder digits = new StringBuilder();
        for (int i = 0; i < length; i++) {
            digits.append((char) ('0' + RANDOM.nextInt(10)));
        }
        return digits.toString();
    }

    /** A value of 8 bytes. */
    static void keep(String kind, BigInteger number, Object kept) {
        byte[] bytes = new byte[8];
        for (int i = 0; i < 8; i++) {
            bytes[i] = number.shiftRight(56 - 8 * i).byteValue();
        }
        keep(kind, bytes, kept);
    }

    static void keep(String kind, byte[] secret, Object kept) {
        KEPT.add(kept);
        say(kind, secret);
    }

    static void say(String kind, byte[] secret) {
        StringBuilder hex = new StringBuilder();
        for (byte b : secret) {
            hex.append(String.format("%02x", b));
        }
        System.out.println(kind + " " + hex);
    }
}
