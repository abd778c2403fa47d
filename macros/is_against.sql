{% macro is_against(rules) -%}
    coalesce(
        {%- for rule in rules_of(rules, 'reject') %}
        ({{ rule.when }}){{ ' or' if not loop.last }}
        {%- endfor %},
        false
    )
{%- endmacro %}
