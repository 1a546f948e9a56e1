package io.nbci.pipeline

/** What exit codes mean: nbci's, as in schemas/exit-codes.json, and those of the shell. */
class ExitCodes implements Serializable {
  static String meaning(int status) {
    def known = [
      1: 'a step failed',
      2: 'wrong usage or configuration',
      3: 'a gate refused',
      4: 'infrastructure: the machine failed, not the notebook; try again',
      5: 'integrity: something stored is not what it says',
      70: 'a bug in nbci',
      126: 'infrastructure: nbci cannot be run on this agent',
      127: 'infrastructure: there is no nbci on this agent; say where it is with command:',
      130: 'it was interrupted',
      143: 'it was interrupted',
    ]
    return known[status] ?: 'the process was killed'
  }
}
