/** What the page holds before it knows anything. */
export const MARKUP = `
<header>
  <h1 id="name">handover</h1>
  <p id="about" class="quiet"></p>
  <p id="link" role="status" aria-live="polite" class="badge wait">connecting</p>
  <button id="reload" type="button" disabled>Reload…</button>
</header>
<main>
  <p id="alert" role="alert" hidden></p>
  <section aria-labelledby="h-numbers">
    <h2 id="h-numbers" class="hidden">Numbers</h2>
    <dl id="numbers"></dl>
  </section>
  <section aria-labelledby="h-chart">
    <h2 id="h-chart">Last five minutes</h2>
    <div class="charts">
      <figure><figcaption>Open connections <output id="open-now"></output><span id="open-peak" class="peak"></span></figcaption>
        <svg id="chart-open" role="img" aria-label="Open connections over time" viewBox="0 0 600 120" preserveAspectRatio="none"></svg></figure>
      <figure><figcaption>Hand-overs per second <output id="rate-now"></output><span id="rate-peak" class="peak"></span></figcaption>
        <svg id="chart-rate" role="img" aria-label="Hand-overs per second over time" viewBox="0 0 600 120" preserveAspectRatio="none"></svg></figure>
    </div>
  </section>
  <section aria-labelledby="h-generations">
    <h2 id="h-generations">Generations</h2>
    <div class="scroll"><table><thead><tr><th scope="col">Generation</th><th scope="col">State</th><th scope="col" class="n">Workers</th>
      <th scope="col" class="n">Open</th><th scope="col">Since</th><th scope="col">Deadline</th></tr></thead>
      <tbody id="generations"></tbody></table></div>
  </section>
  <section aria-labelledby="h-workers">
    <h2 id="h-workers">Workers</h2>
    <div class="scroll"><table><thead><tr><th scope="col">Worker</th><th scope="col">State</th><th scope="col" class="n">Generation</th>
      <th scope="col" class="n">Pid</th><th scope="col" class="n">Open</th><th scope="col" class="n">Total</th><th scope="col" class="n">Per second</th>
      <th scope="col" class="n">Lag</th><th scope="col" class="n">Memory</th><th scope="col" class="n">Restarts</th></tr></thead>
      <tbody id="workers"></tbody></table></div>
  </section>
  <section aria-labelledby="h-events">
    <h2 id="h-events">Events</h2>
    <ol id="events" role="log" aria-labelledby="h-events" tabindex="0"></ol>
  </section>
</main>
<dialog id="dialog" aria-labelledby="h-dialog">
  <h2 id="h-dialog">Reload the workers?</h2>
  <p id="explained">New workers start next to the old ones. When all of them are ready they get every new connection; the old ones finish
  what they have. If the new ones do not get ready, nothing changes.</p>
  <ol id="progress" role="log" aria-live="polite"></ol>
  <p class="buttons"><button id="cancel" type="button">Cancel</button><button id="confirm" type="button" class="main">Reload</button></p>
</dialog>
<noscript><p>This page needs JavaScript. The same is at <a href="/status">/status</a> and <a href="/metrics">/metrics</a>.</p></noscript>
`

/** @param wrong  a token was given that is not the right one */
export const SIGN_IN_MARKUP = (wrong: boolean): string => `
<main class="sign-in">
  <h1>handover</h1>
  <form method="get" action="/">
    <label for="token">Token</label>
    <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
    <button type="submit" class="main">Sign in</button>
    ${wrong ? '<p role="alert">This is not the token.</p>' : '<p class="quiet">It was printed when the service started, unless it was chosen.</p>'}
  </form>
</main>
`
