{% macro row_reasons(rules, severity) -%}
    concat_ws(
        ' | '
        {%- for rule in rules_of(rules, severity) %},
        {#- what the words quote may hold the mark that stands between reasons #}
        case
            when {{ rule.when }}
                then concat('{{ rule.code }}: ', translate({{ rule.words }}, '|', '¦'))
        end
        {%- endfor %}
    )
{%- endmacro %}
