/* Opened as a file, the page's own scripts are refused by the browser: this one, which is not, says what to do. */
if (location.protocol === 'file:') {
  addEventListener('DOMContentLoaded', function () {
    document.getElementById('status').textContent =
      'Opened as a file, a page may not run its engine: serve its folder and open that address, with `npm start` here or any static web server.';
    document.getElementById('status').dataset.state = 'error';
    document.getElementById('progress').hidden = true;
  });
}
