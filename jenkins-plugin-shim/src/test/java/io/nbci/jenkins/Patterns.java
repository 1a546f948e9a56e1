package io.nbci.jenkins;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Files by patterns as Ant has them: `*`, `?`, and `**` for any folders. */
final class Patterns {
    private static final Pattern PART = Pattern.compile("\\*\\*/|\\*\\*|\\*|\\?|[^*?]+");

    private Patterns() {}

    static List<Path> find(Path folder, String includes, String excludes) throws IOException {
        Pattern wanted = pattern(includes);
        Pattern unwanted = pattern(excludes);
        try (Stream<Path> all = Files.walk(folder)) {
            return all.filter(Files::isRegularFile)
                    .filter(file -> wanted.matcher(folder.relativize(file).toString()).matches())
                    .filter(file -> !unwanted.matcher(folder.relativize(file).toString()).matches())
                    .sorted()
                    .toList();
        }
    }

    static int copy(Path from, Path to, String includes, String excludes) throws IOException {
        List<Path> files = find(from, includes, excludes);
        for (Path file : files) {
            Path target = to.resolve(from.relativize(file).toString());
            Files.createDirectories(target.getParent());
            Files.deleteIfExists(target); // it may be read-only
            Files.copy(file, target, StandardCopyOption.COPY_ATTRIBUTES);
        }
        return files.size();
    }

    static void delete(Path folder) throws IOException {
        if (Files.exists(folder)) {
            try (Stream<Path> all = Files.walk(folder)) {
                for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
                    Files.delete(path);
                }
            }
        }
    }

    private static Pattern pattern(String list) {
        return Pattern.compile(Arrays.stream(list.split(","))
                .map(String::trim)
                .filter(text -> !text.isEmpty())
                .map(text -> PART.matcher(text.endsWith("/") ? text + "**" : text).replaceAll(part -> switch (part.group()) {
                    case "**/" -> "(?:.*/)?";
                    case "**" -> ".*";
                    case "*" -> "[^/]*";
                    case "?" -> "[^/]";
                    default -> java.util.regex.Matcher.quoteReplacement(Pattern.quote(part.group()));
                }))
                .collect(Collectors.joining("|")));
    }
}
