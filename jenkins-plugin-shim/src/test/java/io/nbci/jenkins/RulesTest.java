package io.nbci.jenkins;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** What cannot be tried without a Jenkins is looked for in the text of the library: see rejected.txt. */
class RulesTest {
    private record Rule(Pattern pattern, String reason) {}

    private static final Path RULES = Library.SHIM.resolve("src/test/resources/rejected.txt");
    private static final Pattern LOCAL = Pattern.compile("\\bdef\\s+(\\w+)\\s*=");

    private static List<Rule> rules() throws IOException {
        List<Rule> rules = new ArrayList<>();
        for (String line : Files.readAllLines(RULES)) {
            if (!line.startsWith("#") && !line.isBlank()) {
                String[] parts = line.split("\t");
                rules.add(new Rule(Pattern.compile(parts[0]), parts[1]));
            }
        }
        return rules;
    }

    private static List<String> broken(String text) throws IOException {
        List<String> found = new ArrayList<>();
        Set<String> locals = new HashSet<>();
        Matcher local = LOCAL.matcher(text);
        while (local.find()) {
            locals.add(local.group(1));
        }
        for (String line : text.replaceAll("(?s)/\\*.*?\\*/", "").split("\n")) {
            String code = line.replaceAll("(^|\\s)//.*", "");
            for (Rule rule : rules()) {
                boolean assignsLocal = rule.reason().contains("without def") && locals.contains(code.trim().replaceFirst("\\W.*", ""));
                if (rule.pattern().matcher(code).find() && !assignsLocal) {
                    found.add(code.trim() + ": " + rule.reason());
                }
            }
        }
        return found;
    }

    @Test
    void theLibraryHoldsNothingOfIt() throws IOException {
        for (Path file : Library.sources()) {
            assertEquals(List.of(), broken(Files.readString(file)), file.getFileName().toString());
        }
    }

    @Test
    void everyRuleFindsWhatItIsFor() throws IOException {
        List<String> bad = List.of(
                "def a = new ArrayList()", "new TreeMap(m)", "currentBuild.rawBuild", "env.getEnvironment()", "env['X']",
                "binding.variables", "Jenkins.instance", "System.getenv('X')", "x.encodeBase64()", "Thread.sleep(1)",
                "'ls'.execute()", "Eval.me('1')", "sprintf('x')", "list.withIndex()", "Integer.toHexString(1)",
                "Character.isDigit('1')", "Instant.now()", "f.memoize()", "e.stackTrace", "x.metaClass", "hudson.Util.escape(x)",
                "JsonOutput.toJson([1])", "Math.floor(1.2)", "x.tap {}", "l.sort { a, b -> a <=> b }", "l*.trim()",
                "def m = a =~ /x/", "for (i in 0..2) {}", "keys as List", "sh \"echo ${x}\"", "sh(script: \"echo ${x}\")",
                "count = 1", "properties([])");
        for (String code : bad) {
            assertFalse(broken(code).isEmpty(), code);
        }
        for (Rule rule : rules()) {
            assertTrue(bad.stream().anyMatch(code -> rule.pattern().matcher(code).find()), rule.pattern().pattern());
        }
    }

    @Test
    void everyScriptHasHelp() throws IOException {
        for (Path file : Library.scripts(Library.SHIM.resolve("vars"))) {
            assertTrue(Files.exists(Path.of(file.toString().replaceAll("groovy$", "txt"))), file.toString());
        }
    }

    @Test
    void theMeaningsAreThoseOfTheTable() throws IOException {
        String table = Files.readString(Library.SHIM.resolveSibling("schemas").resolve("exit-codes.json"));
        String library = Files.readString(Library.SHIM.resolve("src/io/nbci/pipeline/ExitCodes.groovy"));
        Matcher code = Pattern.compile("\"(\\d+)\"|: (\\d+)").matcher(table);
        int count = 0;
        while (code.find()) {
            String number = code.group(1) != null ? code.group(1) : code.group(2);
            if (!number.equals("0")) {
                assertTrue(library.contains("\n      " + number + ": '"), number);
                count++;
            }
        }
        assertEquals(7, count);
    }
}
