// netwatch
