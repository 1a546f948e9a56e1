package io.nbci.pipeline

/** Files that nbci writes for this library: a line with the format, then lines of tabbed fields. */
class TabbedFile implements Serializable {
  def script

  TabbedFile(script) {
    this.script = script
  }

  /** The fields of each line after the first; an error where the file is of another format. */
  def read(String file, String format) {
    def lines = script.readFile(file: file, encoding: 'UTF-8').readLines()
    if (lines[0] != format) {
      script.error "this library reads '${format}', and nbci wrote '${lines[0]}': " +
        'let both be of one version'
    }
    def found = []
    for (int i = 1; i < lines.size(); i++) {
      found << lines[i].split('\t', -1)
    }
    return found
  }
}
