SELECT quarantine_reason, count(*) AS captures, min(url) AS example_url, arg_min(quarantine_place, url) AS example_place,
    arg_min(quarantine_detail, url) AS example_detail
FROM core.capture
WHERE quarantine_reason IS NOT NULL
GROUP BY quarantine_reason
ORDER BY captures DESC, quarantine_reason
