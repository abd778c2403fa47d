{% macro is_against(rules, severity) -%}
    coalesce(
        {%- for rule in rules if rule.severity == severity %}
        ({{ rule.when }}){{ ' or' if not loop.last }}
        {%- endfor %},
        false
    )
{%- endmacro %}
