package io.nbci.jenkins;

import java.io.Serializable;
import java.util.AbstractMap;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A Groovy category, as Jenkins has one: loops over collections whose place in them survives a restart. */
public final class SerializableIterators {
    private SerializableIterators() {}

    public static <E> Iterator<E> iterator(List<E> items) {
        return new OverCopy<>(items);
    }

    public static <E> Iterator<E> iterator(Set<E> items) {
        return new OverCopy<>(items);
    }

    public static <K, V> Iterator<Map.Entry<K, V>> iterator(Map<K, V> map) {
        List<Map.Entry<K, V>> entries = new ArrayList<>();
        map.forEach((key, value) -> entries.add(new AbstractMap.SimpleImmutableEntry<>(key, value)));
        return new OverCopy<>(entries);
    }

    public static <K> List<K> keySet(Map<K, ?> map) {
        return new ArrayList<>(map.keySet());
    }

    public static <V> List<V> values(Map<?, V> map) {
        return new ArrayList<>(map.values());
    }

    private static final class OverCopy<E> implements Iterator<E>, Serializable {
        private static final long serialVersionUID = 1;
        private final ArrayList<E> items;
        private int next;

        OverCopy(Collection<E> items) {
            this.items = new ArrayList<>(items);
        }

        @Override
        public boolean hasNext() {
            return next < items.size();
        }

        @Override
        public E next() {
            return items.get(next++);
        }
    }
}
