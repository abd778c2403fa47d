{% macro is_against(rules, severity) -%}
    coalesce(
        {%- for rule in rules_of(rules, severity) %}
        ({{ rule.when }}){{ ' or' if not loop.last }}
        {%- endfor %},
        false
    )
{%- endmacro %}
