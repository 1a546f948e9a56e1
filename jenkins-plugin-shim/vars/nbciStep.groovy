/**
 * Runs a notebook, a script or a piece of code with nbci as one build step, inside `node`. A
 * failure fails the build; the report is published. See the help beside this file.
 */
def call(Map options) {
  def folder = '.nbci/build/step'
  def target = options.notebook
  def place = options.cwd ?: ''
  dir(folder) { deleteDir() }
  writeFile file: folder + '/plan.txt', text: ''
  if (options.code != null) {
    // one cell, whatever stands in it: text with marks of cells would become several
    target = folder + '/' + (options.name ?: 'code') + '.ipynb'
    def notebook = asNotebook(options.code.toString(), (options.kernel ?: 'python3').toString())
    writeFile file: target, text: notebook, encoding: 'UTF-8'
    place = place ?: '.'
  }
  if (!target) {
    error "nbciStep: say what to run, as in notebook: 'train.ipynb' or code: 'print(1)'"
  }
  def values = [
    "NBCI_COMMAND=${options.command ?: 'nbci'}".toString(),
    "NBCI_TARGET=${target}".toString(),
    "NBCI_BUILD=${folder}".toString(),
  ]
  def parameters = options.parameters ?: [:]
  for (name in parameters.keySet()) {
    values << "NBCI_PARAM_${name}=${parameters[name]}".toString()
  }
  values << "NBCI_KERNEL=${options.kernel ?: ''}".toString()
  values << "NBCI_PLACE=${place}".toString()
  values << "NBCI_SHOWN=${options.outputs ?: ''}".toString()
  def script = '''
    "$NBCI_COMMAND" plan "$NBCI_TARGET" \\
      ${NBCI_KERNEL:+--kernel "$NBCI_KERNEL"} ${NBCI_PLACE:+--in "$NBCI_PLACE"} \\
      --out "$NBCI_BUILD/plan.json" > "$NBCI_BUILD/plan.txt"
    "$NBCI_COMMAND" step --plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" || true
    "$NBCI_COMMAND" finish --plan "$NBCI_BUILD/plan.json" --store "$NBCI_BUILD/store" \\
      --out "$NBCI_BUILD/result" \\
      ${NBCI_SHOWN:+--shown "$NBCI_SHOWN"}
  '''
  def status = 1
  withEnv(values) { status = sh(script: script, returnStatus: true, label: 'nbci') }
  def reportName = (options.reportName ?: 'Notebook report').toString()
  def ending = nbci.publish(folder + '/result', reportName, status)
  if (ending.result == 'unstable') {
    unstable ending.message
  } else if (ending.result == 'failure') {
    error ending.message
  }
}

def asNotebook(String code, String kernel) {
  def cell = [cell_type: 'code', execution_count: null, metadata: [:], outputs: [], source: code]
  def spec = [name: kernel, display_name: kernel]
  def notebook = [nbformat: 4, nbformat_minor: 4, metadata: [kernelspec: spec], cells: [cell]]
  return groovy.json.JsonOutput.toJson(notebook)
}
