// Sets the theme before the first paint; the application takes over from here (src/app/theme.ts).
(() => {
  let wanted = 'system';
  try {
    wanted = localStorage.getItem('tollgate.theme') || 'system';
  } catch {
    // Storage may be forbidden; the system's theme is a good answer.
  }
  const dark = wanted === 'dark' || (wanted === 'system' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
