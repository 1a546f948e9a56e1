package io.nbci.jenkins.settings;

import hudson.model.Computer;
import hudson.model.Node;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import jenkins.model.Jenkins;

/** A node that can run something now; the controller's own has an empty name. */
record OnlineNode(String name, String displayName, Node node) {
  /** All that are online, agents first. */
  static List<OnlineNode> all() {
    Jenkins jenkins = Jenkins.get();
    List<Node> nodes = new ArrayList<>(jenkins.getNodes());
    nodes.add(jenkins);
    return among(nodes);
  }

  /** Those that take a job which asks for no label, as Jenkins would place it. */
  static List<OnlineNode> forAnyJob() {
    return all().stream()
        .filter(online -> online.node.getNumExecutors() > 0)
        .filter(online -> online.node.getMode() == Node.Mode.NORMAL)
        .toList();
  }

  /** Those of these nodes that are online, agents first. */
  static List<OnlineNode> among(Collection<? extends Node> nodes) {
    return nodes.stream()
        .map(OnlineNode::of)
        .flatMap(Optional::stream)
        .sorted(Comparator.comparing(OnlineNode::isBuiltIn).thenComparing(OnlineNode::name))
        .toList();
  }

  private static Optional<OnlineNode> of(Node node) {
    Computer computer = node.toComputer();
    if (computer == null || !computer.isOnline()) {
      return Optional.empty();
    }
    return Optional.of(
        new OnlineNode(node.getNodeName(), computer.getDisplayName(), node));
  }

  private boolean isBuiltIn() {
    return name.isEmpty();
  }
}
