/**
 * The step of the machine-learning-plugin, run by nbci: jobs that were written for it run again,
 * and code that raises fails the build. See the help beside this file.
 */
def call(Map options) {
  def task = (options.task ?: 'task').toString()
  def kernel = (options.kernelName ?: '').toString().trim()
  def path = (options.filePath ?: '').toString().trim()
  def parser = (options.parserType ?: (path && !options.code ? 'file' : 'text')).toString()
  def step = [
    name: task.replaceAll('[^A-Za-z0-9_-]+', '-').toLowerCase(),
    kernel: kernel == 'python' ? 'python3' : kernel,  // what Jupyter once called its own
    cwd: '.',
    outputs: task,
  ]
  if (options.command) {
    step.command = options.command
  }
  if (parser == 'text') {
    step.code = (options.code ?: '').toString()
  } else if (!path) {
    error "ipythonBuilder: parserType '${parser}' takes a filePath: a notebook or a script"
  } else if (path.endsWith('.json')) {
    error "ipythonBuilder: ${path} is a note of Zeppelin's; " +
      'name the notebook (.ipynb) that it was made from'
  } else if (path.endsWith('.ipynb')) {
    step.notebook = path
  } else {
    step.code = readFile(file: path, encoding: 'UTF-8')
  }
  nbciStep(step)
}
